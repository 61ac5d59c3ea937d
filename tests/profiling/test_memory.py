import subprocess
import sys


def test_the_peak_of_a_stretch():
    """In a process of its own: pages that a large one gives back meanwhile would hide the ballast."""
    program = (
        "import torch\n"
        "from t2igan.profiling.memory import forget_peak, peak_megabytes\n"
        "cpu = torch.device('cpu')\n"
        "forget_peak(cpu)\n"
        "before = peak_megabytes(cpu)\n"
        "ballast = bytearray(b'x' * 200_000_000)\n"
        "del ballast\n"
        "print(peak_megabytes(cpu) - before)\n"
        "forget_peak(cpu)\n"
        "print(peak_megabytes(cpu) - before)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    with_ballast, forgotten = (float(line) for line in told.stdout.split())
    assert 150 < with_ballast < 450
    assert forgotten < 150
