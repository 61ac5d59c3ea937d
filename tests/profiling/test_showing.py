from t2igan.profiling.showing import rate_in_words, threads_in_words


def test_rates_have_three_digits():
    assert [rate_in_words(each) for each in (0.08912, 12.345, 4567.8)] == ["0.0891", "12.3", "4,570"]
    assert [threads_in_words(count) for count in (1, 2)] == ["1 thread", "2 threads"]
