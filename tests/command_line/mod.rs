//! The command `hallpass`, as a child process.
