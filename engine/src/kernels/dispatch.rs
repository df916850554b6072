//! Which instruction set is used: found once per process, or pinned by the environment variable `TENSORATOM_ISA`.
//! Under a fuzzer all kernels are portable: the others, with its counters in them, take minutes to build, and the tests
//! compare them anyway.

use std::sync::OnceLock;

use super::scalar::Scalar;
use super::vector::{Isa, Kernel};
#[cfg(all(target_arch = "x86_64", not(fuzzing)))]
use super::{avx2::Avx2, avx512::Avx512};

/// Environment variable that pins the instruction set: `scalar`, `avx2` or `avx512`. Read once, at the first use. A
/// name that is unknown, or a set this processor lacks, is reported once as a warning through `tracing` and the best
/// set at or below the wanted one is used (the best at all for an unknown name).
pub const ISA_VARIABLE: &str = "TENSORATOM_ISA";

/// An instruction set the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Portable code.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL, VNNI, BITALG and VPOPCNTDQ, besides all of [`Level::Avx2`].
    Avx512,
}

impl Level {
    /// The name as [`ISA_VARIABLE`] takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }
}

/// The instruction set all kernels of this process use.
pub fn isa() -> Level {
    present().level()
}

/// The instruction set of this process.
#[inline(always)]
pub(super) fn present() -> Present {
    static CHOSEN: OnceLock<Present> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var(ISA_VARIABLE).ok();
        let (present, complaint) = choose(&Present::all(), wanted.as_deref());
        if let Some(complaint) = complaint {
            tracing::warn!("{complaint}");
        }
        present
    })
}

/// An instruction set that is present.
#[derive(Clone, Copy, Debug)]
pub(super) enum Present {
    Scalar(Scalar),
    #[cfg(all(target_arch = "x86_64", not(fuzzing)))]
    Avx2(Avx2),
    #[cfg(all(target_arch = "x86_64", not(fuzzing)))]
    Avx512(Avx512),
}

impl Present {
    /// Every set of this processor, the best one last.
    pub(super) fn all() -> Vec<Present> {
        #[allow(unused_mut, reason = "other architectures have one")]
        let mut all = vec![Present::Scalar(Scalar)];
        #[cfg(all(target_arch = "x86_64", not(fuzzing)))]
        {
            all.extend(Avx2::detect().map(Present::Avx2));
            all.extend(Avx512::detect().map(Present::Avx512));
        }
        all
    }

    pub(super) fn level(self) -> Level {
        struct Ask;
        impl Kernel for Ask {
            type Output = Level;
            #[inline(always)]
            fn run<I: Isa>(self, _: I) -> Level {
                I::LEVEL
            }
        }
        self.run(Ask)
    }

    /// The set for [`Isa::narrow_entry`].
    pub(super) fn narrow(self) -> Present {
        match self {
            #[cfg(all(target_arch = "x86_64", not(fuzzing)))]
            Present::Avx512(isa) => Present::Avx2(Avx2::of(isa)),
            other => other,
        }
    }

    #[inline(always)]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Present::Scalar(isa) => isa.call(kernel),
            #[cfg(all(target_arch = "x86_64", not(fuzzing)))]
            Present::Avx2(isa) => isa.call(kernel),
            #[cfg(all(target_arch = "x86_64", not(fuzzing)))]
            Present::Avx512(isa) => isa.call(kernel),
        }
    }
}

/// The best of `all` that `wanted` allows, and what to say when that is not the one asked for.
fn choose(all: &[Present], wanted: Option<&str>) -> (Present, Option<String>) {
    let best = |limit: Level| {
        let allowed = all.iter().rev().find(|present| present.level() <= limit);
        allowed.copied().unwrap_or(Present::Scalar(Scalar))
    };
    let Some(wanted) = wanted.filter(|name| !name.is_empty()) else {
        return (best(Level::Avx512), None);
    };
    let level = [Level::Scalar, Level::Avx2, Level::Avx512].into_iter().find(|level| level.name() == wanted);
    let present = best(level.unwrap_or(Level::Avx512));
    let complaint = match level {
        Some(level) if level == present.level() => None,
        Some(_) => Some(format!("{ISA_VARIABLE}={wanted}: not available here, using {}", present.level().name())),
        None => Some(format!(
            "{ISA_VARIABLE}: '{}' is none of scalar, avx2, avx512; using {}",
            wanted.escape_debug(),
            present.level().name()
        )),
    };
    (present, complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A support case pinned to `scalar` that silently ran AVX-512 would be debugged for days.
    #[test]
    fn the_variable_pins_a_set_and_says_when_it_cannot() {
        let scalar = [Present::Scalar(Scalar)];
        let all = Present::all();
        let best = all.last().unwrap().level();
        assert_eq!(choose(&all, None).0.level(), best);
        assert_eq!(choose(&all, Some("")).0.level(), best);
        for present in &all {
            let (chosen, complaint) = choose(&all, Some(present.level().name()));
            assert_eq!((chosen.level(), complaint), (present.level(), None));
        }
        let (chosen, complaint) = choose(&scalar, Some("avx512"));
        assert_eq!(chosen.level(), Level::Scalar);
        assert!(complaint.unwrap().contains("using scalar"));
        let (chosen, complaint) = choose(&all, Some("avx1024"));
        assert_eq!(chosen.level(), best);
        assert!(complaint.unwrap().contains("avx1024"));
    }
}
