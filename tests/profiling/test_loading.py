from t2igan.profiling import loading


def test_stages_add_up_their_own_cpu_time_an_image(monkeypatch):
    times = iter([10.0, 10.5, 20.0, 20.25, 30.0, 30.75])
    monkeypatch.setattr(loading.time, "process_time", lambda: next(times))
    clock = loading._StageClock()
    for name in ("decode", "crop", "decode"):
        with clock.stage(name):
            pass
    clock.images = 5
    assert clock.per_image() == {"decode": 250.0, "crop": 50.0}
    clock.reset()
    assert clock.per_image() == {} and clock.images == 0
