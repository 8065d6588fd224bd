"""The other two signals, logs and metrics: what their fixtures hand the test, and the verbs that they share."""
