//! The included classifier, and files that are not classifiers.

use super::*;
use gan_base::Rng;
use gan_core::RandomTensors;
use gan_core::weights::{FORMAT, to_bytes};
use gan_core::{Init, Layer};
use gan_data::{DatasetSpec, Mnist, OpenOptions, Split};
use gan_kernels::fused::Reuse;

const HASH: &str = "fdb5caad43a01ec315e8c9e9dc55942a267a0869f2c4c4d307c0931fc35726dc";

fn test_digits(range: std::ops::Range<usize>) -> (Tensor, Vec<u32>) {
    let data = Mnist { split: Some(Split::Test) }.open(&OpenOptions::default()).unwrap();
    let mut values = vec![0.0; range.len() * 784];
    let labels = range.clone().map(|i| data.label(i).unwrap()).collect();
    range.clone().zip(values.chunks_exact_mut(784)).for_each(|(i, image)| data.write(i, image).unwrap());
    (Tensor::from_vec(values, (range.len(), 1, 28, 28), &Device::Cpu).unwrap(), labels)
}

fn right(network: &Layered, images: &Tensor, labels: &[u32]) -> usize {
    let logits = network.embed(images).unwrap().logits.unwrap();
    let found = logits.argmax(D::Minus1).unwrap().to_vec1::<u32>().unwrap();
    found.iter().zip(labels).filter(|(a, b)| a == b).count()
}

#[test]
fn the_included_file_matches_its_description() {
    let digits = Layered::digits().unwrap();
    let card = &digits.info.card;
    assert_eq!((card.name.as_str(), card.hash.as_str(), card.dim, digits.info.classes.len()), ("digits", HASH, 96, 10));
    assert!(card.resize.as_ref().unwrap().contains("bilinear") && DIGITS.len() < 1_000_000);
}

#[test]
fn the_digit_classifier_has_its_documented_accuracy() {
    let (images, labels) = test_digits(0..10_000);
    let digits = Layered::digits().unwrap();
    let share = right(&digits, &images, &labels) as f64 / 1e4;
    assert!(share >= 0.993, "{share}");
    // The rounding of another processor may change one undecided digit, but not five.
    assert!((share - digits.description().accuracy).abs() < 5e-4, "{share} against {}", digits.description().accuracy);
}

#[test]
fn features_distinguish_images_and_none_is_constant() {
    let (images, _) = test_digits(0..500);
    let features = Layered::digits().unwrap().embed(&images).unwrap().features;
    let mean = features.mean_keepdim(0).unwrap();
    let variance = features.broadcast_sub(&mean).unwrap().sqr().unwrap().mean(0).unwrap().to_vec1::<f32>().unwrap();
    let all: f32 = variance.iter().sum();
    assert!(variance.iter().all(|v| *v > 1e-2 * all / 96.0), "{variance:?}");
}

#[test]
fn the_batch_size_does_not_change_features() {
    let (images, _) = test_digits(0..BATCH + 3);
    let digits = Layered::digits().unwrap();
    let whole = digits.embed(&images).unwrap();
    let last = digits.embed(&images.narrow(0, BATCH, 3).unwrap()).unwrap();
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let tail = whole.features.narrow(0, BATCH, 3).unwrap();
    assert_eq!((whole.features.dims(), flat(&tail)), (&[BATCH + 3, 96][..], flat(&last.features)));
}

#[test]
fn digits_of_other_sizes_are_resized() {
    let (images, labels) = test_digits(0..1000);
    let digits = Layered::digits().unwrap();
    for side in [20, 32, 56] {
        let images = resize(&images, [side, side], Filter::Triangle).unwrap();
        let right = right(&digits, &images, &labels);
        assert!(right > 950, "{right} at {side}");
    }
}

#[test]
fn images_of_another_kind_are_refused_with_the_expected_kind() {
    let digits = Layered::digits().unwrap();
    for (shape, words) in [
        (vec![2, 3, 28, 28], ["[2, 3, 28, 28]", "1 channel (grey)", "turn the images grey"]),
        (vec![2, 2, 28, 28], ["[2, 2, 28, 28]", "1 channel (grey)", "as many channels"]),
        (vec![0, 1, 28, 28], ["[0, 1, 28, 28]", "images for digits", "there has to be an image"]),
        (vec![2, 784], ["[2, 784]", "[N, C, H, W]", "only images"]),
    ] {
        let images = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let message = digits.embed(&images).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

/// Returns the file of a small network whose description `edit` changes.
fn made(edit: impl FnOnce(&mut Classifier)) -> Vec<u8> {
    let list = r#"[{"conv": 4, "kernel": 3}, "relu", "flatten", {"dense": 5}, "tanh", {"dense": 2}]"#;
    let layers: Vec<Layer> = serde_json::from_str(list).unwrap();
    let mut rng = Rng::new(1);
    let input = vec![3, 8, 8];
    let network = Network::new("x", &input, &layers, Init::He, Reuse::Never, &mut rng, &Device::Cpu).unwrap();
    let mut description = Classifier {
        format: FORMAT,
        network: "classifier".into(),
        input,
        layers,
        features_before: None,
        resize: Resize::Refuse,
        classes: vec!["a".into(), "b".into()],
        data: "made".into(),
        accuracy: 0.5,
        seed: 1,
        library: "0".into(),
    };
    edit(&mut description);
    to_bytes(network.params(), &description).unwrap()
}

fn read(bytes: &[u8]) -> Result<Layered> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.safetensors");
    std::fs::write(&path, bytes).unwrap();
    Layered::read(&path)
}

#[test]
fn custom_classifiers_are_layer_lists_with_weights() {
    let own = read(&made(|_| ())).unwrap();
    assert_eq!((own.info.card.name.as_str(), own.info.card.dim, &own.info.card.resize), ("own", 5, &None));
    let images = Rng::new(2).normal_tensor(0.0, 1.0, (7, 3, 8, 8), &Device::Cpu).unwrap();
    let found = own.embed(&images).unwrap();
    assert_eq!((found.features.dims(), found.logits.unwrap().dims()), (&[7, 5][..], &[7, 2][..]));
    // Features before an earlier layer are images, which are flattened.
    let early = read(&made(|d| d.features_before = Some(1))).unwrap();
    assert_eq!((early.info.card.dim, early.embed(&images).unwrap().features.dims()), (4 * 36, &[7, 144][..]));
    assert_ne!(own.info.card.hash, early.info.card.hash);
    let larger = Tensor::zeros((1, 3, 9, 8), DType::F32, &Device::Cpu).unwrap();
    let message = own.embed(&larger).unwrap_err().to_string();
    assert!(message.contains("9×8") && message.contains("bring the images to 8×8"), "{message}");
}

#[test]
fn files_without_a_classifier_are_refused_with_the_expected_contents() {
    let whole = made(|_| ());
    for (bytes, words) in [
        (whole[..whole.len() - 9].to_vec(), ["is not a whole safetensors file", "weight file of a classifier"]),
        (made(|d| d.format = 9), ["has format 9", "use a newer gan"]),
        (made(|d| d.network = "generator".into()), ["holds a generator", "a classifier is needed"]),
        (made(|d| d.classes = vec![]), ["makes logits [2]", "names 0 classes"]),
        (made(|d| d.features_before = Some(6)), ["features before layer 6", "there are 6"]),
        (made(|d| d.input = vec![3, 9, 8]), ["main.3.weight", "needs [5, 168]"]),
        (made(|d| d.input = vec![192]), ["describes a network that cannot be", "an image"]),
    ] {
        let message = read(&bytes).map(drop).expect_err(words[0]).to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(message.contains("own.safetensors: "), "{message}");
    }
    let message = Layered::read(Path::new("nowhere.safetensors")).unwrap_err().to_string();
    assert!(message.contains("nowhere.safetensors: cannot be read"), "{message}");
}
