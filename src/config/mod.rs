//! The configuration: defaults, file and environment merged, validated as a whole, handed to each stage as its options.
