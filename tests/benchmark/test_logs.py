from pathlib import Path

from t2igan.benchmark.logs import read_end


def test_words_of_a_log(tmp_path):
    log = tmp_path / "x.log"
    assert read_end(log).last == ""
    log.write_text("begun\nstep 1,120/4,000, 0.31 s each, 14.9 min left, loss_d 1.2\n\rcheckpoint written\n")
    words = read_end(log)
    assert (words.last, words.step, words.minutes) == ("checkpoint written", "1,120/4,000", 14.9)
    log.write_text("no step 3/4 with a time\n")
    assert read_end(log).step == ""
    assert Path(log).is_file()
