"""What feeds a metric with rows, one file for each kind of rows."""
