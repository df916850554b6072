//! SQL Server's Language Extension interface over the storage engine: `sp_execute_external_script` runs one command.

pub mod abi;
mod command;
mod config;
mod data;
mod files;
mod script;
mod session;
mod stored;
