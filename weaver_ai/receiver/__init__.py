"""OTLP over HTTP: what other processes export, in protobuf or JSON, as spans, log records and data points."""
