from t2igan.profiling.showing import DISTURBED, counted, rate_in_words, sentences
from t2igan.profiling.steps import Profile, StepPart


def test_rates_have_three_digits():
    assert [rate_in_words(each) for each in (0.08912, 12.345, 4567.8)] == ["0.0891", "12.3", "4,570"]
    assert [counted(count, "image") for count in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_a_step_beyond_the_peak_is_said_to_be_measured_beside_other_work():
    def profile(peak):
        parts, peaks = [StepPart("generator", 2.0, 100.0)], {"convolution": peak, "matrix": 1.0}
        return Profile("cub/ssagan", "CPU", 1, "32-true", 4, [2.0], 100.0, parts, peaks)

    assert not any(DISTURBED in line for line in sentences(profile(50.1)))
    assert DISTURBED in sentences(profile(49.9))[-1] and profile(49.9).as_dict()["peak_disturbed"]
