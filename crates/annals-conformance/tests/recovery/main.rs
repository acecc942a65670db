//! What is found on opening, and what is done: a test for each row of the table (`rows`), and one for each way in which
//! a byte or a file can be damaged (`damage`).

mod damage;
mod found;
mod rows;
mod salvage;
