//! What is specific to the namespaces runtime. Run by root, all of it runs again as an ordinary user.

mod isolation;
mod lab;
mod lifetime;
mod programs;
mod user;
mod works;
