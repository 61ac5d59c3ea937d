import subprocess

import torch

from t2igan.evaluation.environment import environment, git_state


def git(folder, *arguments):
    options = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *options, *arguments], check=True, capture_output=True, text=True
    )


def state(folder):
    git_state.cache_clear()
    return git_state(folder)


def test_commit_and_changes_of_the_package(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").stdout.strip()
    (tmp_path / "beside.txt").write_text("no part of the code")
    assert state(package) == (commit, True)
    (package / "__init__.py").write_text("x = 1")
    assert state(package) == (commit, False)


def test_a_repository_that_does_not_hold_the_package_says_nothing_of_it(tmp_path):
    package = tmp_path / "site-packages"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert state(package) == (None, None)
    git(tmp_path, "init")
    assert state(package) == (None, None)


def test_threads_are_told():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert environment().threads == 1
        torch.set_num_threads(2)
        assert environment().threads == 2
    finally:
        torch.set_num_threads(before)
