//! ns-trace: Linux namespaces, live.
