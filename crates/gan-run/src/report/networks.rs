//! Both networks as tables.

use gan_core::summary::{Summary, grouped};
use gan_report::NetworkTable;
use gan_train::{Architecture, Plan};

/// Returns the tables of G and D. A plan's layers fit together, so nothing can be missing.
pub(super) fn tables(plan: &Plan) -> Vec<NetworkTable> {
    let both = [("generator", &plan.generator), ("discriminator", &plan.discriminator)];
    both.into_iter().filter_map(|(name, network)| table(name, network)).collect()
}

fn table(name: &str, network: &Architecture) -> Option<NetworkTable> {
    let summary = Summary::new(name, &network.input, &network.layers).ok()?;
    let row = |row: &gan_core::summary::Row| {
        let multiply_adds = if row.multiply_adds == 0 { String::new() } else { grouped(row.multiply_adds) };
        let parameters = grouped(row.trained + row.fixed);
        [row.name.clone(), row.written(), super::shape(&row.output), parameters, multiply_adds]
    };
    let totals = summary.written_totals().into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    let rows = summary.rows.iter().map(row).collect();
    Some(NetworkTable { name: name.into(), input: super::shape(&network.input), rows, totals })
}
