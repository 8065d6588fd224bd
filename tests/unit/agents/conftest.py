pytest_plugins = ["tests.fixtures.recorded_spans", "tests.fixtures.providers"]
