//! Events as they come back from the store.
