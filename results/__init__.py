"""What the folds produced: the outcome store, metrics and intervals, leaderboards, reports, their view in MLflow."""
