//! The command line, what lies in the current folder, and the commands that wire everything together.

pub mod cli;
pub mod commands;
pub(crate) mod workspace;
