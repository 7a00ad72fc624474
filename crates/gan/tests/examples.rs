//! Every example runs.

/// A test for each example, whose file must be in `examples`.
macro_rules! examples {
    ($($test:ident, $name:ident, $file:literal;)*) => {
        $(
            #[path = $file]
            mod $name;

            #[test]
            fn $test() {
                $name::main().unwrap();
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

examples! {
    it_samples_from_a_file, sample, "../examples/sample.rs";
    a_custom_gan_trains, custom_gan, "../examples/custom_gan.rs";
    a_custom_layer_runs, custom_layer, "../examples/custom_layer.rs";
    a_custom_dataset_trains, custom_dataset, "../examples/custom_dataset.rs";
    a_custom_loss_trains, custom_loss, "../examples/custom_loss.rs";
    a_custom_training_step_trains, custom_training_step, "../examples/custom_training_step.rs";
    a_custom_optimizer_trains, custom_optimizer, "../examples/custom_optimizer.rs";
    two_folders_have_a_distance, distance, "../examples/distance.rs";
}

#[test]
fn every_example_has_a_test() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in names {
        assert!(NAMES.contains(&name.trim_end_matches(".rs")), "tests/examples.rs lacks {name}");
    }
}
