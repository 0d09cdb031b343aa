//! Client libraries as they come.

mod election;
mod kube_rs;
mod python;
