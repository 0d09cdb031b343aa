//! Harness for the tests that need a real kernel or several parts together.
