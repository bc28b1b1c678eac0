//! A node for tests: files in a temporary directory, commands answered by the test.
