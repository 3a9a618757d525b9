//! Work inside a git repository.
