//! An embedding file as a service: what is asked of its galaxies (`archive`), and the page and interface that ask (`web`).

pub(crate) mod archive;
pub(crate) mod web;
