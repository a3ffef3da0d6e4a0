"""What the folds produced: the outcome store, metrics and intervals, leaderboards, reports, and their view in MLflow."""
