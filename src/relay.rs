//! Builds all stages from the configuration, owns their tasks, and drains them.
