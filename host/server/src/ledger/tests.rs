//! What the ledger promises, on real files.

mod append;
mod broken;
mod find;
mod open;
mod world;
