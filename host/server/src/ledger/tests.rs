//! What the ledger promises, on real files.

mod append;
mod broken;
mod deliveries;
mod find;
mod open;
mod world;
