"""What is learned: records, store, index and recall."""
