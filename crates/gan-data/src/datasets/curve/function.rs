//! The functions that curves are made of, each written in a preset as its name and numbers.

use serde::{Deserialize, Serialize};

/// y = f(x).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Function {
    /// `{ polynomial = [10, 0, 1] }`: c₀ + c₁·x + c₂·x² + …
    Polynomial {
        /// The coefficients, the constant first.
        polynomial: Vec<f64>,
    },
    /// `{ sine = 40, period = 50, phase = 0, offset = 0 }`: offset + sine·sin(2π·(x − phase)/period).
    Sine {
        /// The amplitude.
        sine: f64,
        /// The length of one wave, in units of x.
        period: f64,
        /// Where the wave begins, in units of x.
        #[serde(default)]
        phase: f64,
        /// Added to it.
        #[serde(default)]
        offset: f64,
    },
    /// `{ cosine = 40, period = 50 }`: offset + cosine·cos(2π·(x − phase)/period).
    Cosine {
        /// The amplitude.
        cosine: f64,
        /// The length of one wave, in units of x.
        period: f64,
        /// Where the wave is highest, in units of x.
        #[serde(default)]
        phase: f64,
        /// Added to it.
        #[serde(default)]
        offset: f64,
    },
}

impl Function {
    /// f(x).
    pub fn at(&self, x: f64) -> f64 {
        let turns = |period: f64, phase: f64| std::f64::consts::TAU * (x - phase) / period;
        match self {
            Self::Polynomial { polynomial } => polynomial.iter().rev().fold(0.0, |sum, c| sum * x + c),
            Self::Sine { sine, period, phase, offset } => offset + sine * turns(*period, *phase).sin(),
            Self::Cosine { cosine, period, phase, offset } => offset + cosine * turns(*period, *phase).cos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Function {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn functions_are_those_of_their_formulas() {
        let cubic = read(r#"{"polynomial": [1, -2, 0, 0.5]}"#);
        assert_eq!(cubic.at(3.0), 1.0 - 6.0 + 13.5);
        assert_eq!(read(r#"{"polynomial": []}"#).at(3.0), 0.0);
        let sine = read(r#"{"sine": 4, "period": 8, "phase": 1, "offset": 10}"#);
        assert!((sine.at(3.0) - 14.0).abs() < 1e-12 && (sine.at(1.0) - 10.0).abs() < 1e-12);
        let cosine = read(r#"{"cosine": 4, "period": 8}"#);
        assert!((cosine.at(0.0) - 4.0).abs() < 1e-12 && (cosine.at(4.0) + 4.0).abs() < 1e-12);
    }
}
