//! What a user of skiff relies on, end to end.

mod clients;
mod faults;
mod kubectl;
mod lifecycle;
mod members;
mod nodes;
mod pods;

/// Fails unless the text has all these parts.
fn has(text: &str, parts: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<_> = parts.iter().filter(|part| !text.contains(*part)).collect();
    anyhow::ensure!(missing.is_empty(), "{missing:?} is missing in\n{text}");
    Ok(())
}

/// Fails unless the first line of a table has exactly these headings.
fn has_columns(table: &str, columns: &str) -> anyhow::Result<()> {
    let heading = table.lines().next().unwrap_or_default();
    let found: Vec<&str> = heading
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    anyhow::ensure!(
        found == columns.split(',').collect::<Vec<_>>(),
        "{columns} was expected of\n{table}"
    );
    Ok(())
}

/// Fails unless both are equal.
fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> anyhow::Result<()> {
    anyhow::ensure!(found == expected, "{expected:?} was expected, not {found:?}");
    Ok(())
}
