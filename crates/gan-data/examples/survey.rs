//! Surveys a folder of images: `cargo run --release -p gan-data --example survey -- FOLDER`.
#![allow(clippy::print_stdout)] // an example says what it finds

use gan_data::images::Survey;
use std::time::Instant;

fn main() -> Result<(), gan_data::Error> {
    for folder in std::env::args().skip(1) {
        let start = Instant::now();
        let survey = Survey::of(folder.as_ref())?;
        println!("{folder}: {survey:#?}\n{} channels, {:.2?}", survey.recommended_channels(), start.elapsed());
    }
    Ok(())
}
