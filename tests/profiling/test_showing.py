from t2igan.profiling.showing import counted, rate_in_words


def test_rates_have_three_digits():
    assert [rate_in_words(each) for each in (0.08912, 12.345, 4567.8)] == ["0.0891", "12.3", "4,570"]
    assert [counted(count, "image") for count in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
