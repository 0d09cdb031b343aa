//! `skiff oci`.

use crate::Test;

pub const TESTS: &[Test] = &[];
