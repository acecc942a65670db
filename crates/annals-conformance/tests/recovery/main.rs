//! Recovery on opening: a test for each row of the recovery table (`rows`), tests with every byte and file of a store
//! damaged (`damage`), and salvage (`salvage`). `harmed` has their helpers.

mod damage;
mod harmed;
mod rows;
mod salvage;
