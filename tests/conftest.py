"""What all tests share."""

pytest_plugins = ["tests.cluster_fixtures", "tests.scheduling"]
