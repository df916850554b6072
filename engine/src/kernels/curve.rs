//! Space-filling curves: Morton and Hilbert codes of points, and the grid that turns coordinates into cells.
//!
//! A point has `N` cell numbers of `bits` bits each, `N * bits <= 64` and `bits <= 32`: up to 32 bits in the plane and 21
//! in space. Codes have `N * bits` bits and are stable: they may be stored and indexed. Sorting by them puts points that
//! are near each other near each other; on a Hilbert curve, neighbours on the curve are always neighbours in space.

use crate::error::{Error, ErrorKind, Result};

/// Morton code (Z order): bit `b` of axis `a` becomes bit `b * N + a`, so that the first axis has the lowest bit.
///
/// Fails with `InvalidArgument` for more bits than a code has, and for a cell number of more than `bits` bits.
pub fn morton_encode<const N: usize>(point: [u32; N], bits: u32) -> Result<u64> {
    check_point(&point, bits)?;
    Ok(interleave(point, bits))
}

/// Inverse of [`morton_encode`]. Fails with `InvalidArgument` for more bits than a code has, and for a code beyond them.
pub fn morton_decode<const N: usize>(code: u64, bits: u32) -> Result<[u32; N]> {
    check_code::<N>(code, bits)?;
    Ok(split(code, bits))
}

/// Place of a point on the Hilbert curve, which begins at the origin and visits every cell once, each next to the last.
///
/// The curve is that of J. Skilling, "Programming the Hilbert curve", AIP Conf. Proc. 707 (2004); its first step goes
/// along the last axis where `bits` is odd. Fails as [`morton_encode`].
pub fn hilbert_encode<const N: usize>(point: [u32; N], bits: u32) -> Result<u64> {
    check_point(&point, bits)?;
    let mut x = point;
    // Undo, from the largest square to the smallest, the turns that bring each into the place of the first.
    for bit in (1..bits).rev() {
        turn(&mut x, bit, 0..N);
    }
    // Gray code, across the axes.
    for axis in 1..N {
        x[axis] ^= x[axis - 1];
    }
    let mut flips = 0;
    for bit in (1..bits).rev() {
        if x[N - 1] >> bit & 1 == 1 {
            flips ^= (1 << bit) - 1;
        }
    }
    // The first axis holds the highest bits.
    Ok(interleave::<N>(std::array::from_fn(|axis| x[N - 1 - axis] ^ flips), bits))
}

/// Inverse of [`hilbert_encode`]. Fails as [`morton_decode`].
pub fn hilbert_decode<const N: usize>(code: u64, bits: u32) -> Result<[u32; N]> {
    check_code::<N>(code, bits)?;
    let reversed: [u32; N] = split(code, bits);
    let mut x: [u32; N] = std::array::from_fn(|axis| reversed[N - 1 - axis]);
    let last = x[N - 1] >> 1;
    for axis in (1..N).rev() {
        x[axis] ^= x[axis - 1];
    }
    x[0] ^= last;
    for bit in 1..bits {
        turn(&mut x, bit, (0..N).rev());
    }
    Ok(x)
}

/// A curve whose number of axes is known only at run time: 2, 3 or 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// [`morton_encode`].
    Morton,
    /// [`hilbert_encode`].
    Hilbert,
}

/// Runs a body with a number of axes as a constant.
macro_rules! with_axes {
    ($axes:expr, $N:ident => $body:expr) => {
        match $axes {
            2 => with_axes!(@ 2, $N => $body),
            3 => with_axes!(@ 3, $N => $body),
            4 => with_axes!(@ 4, $N => $body),
            other => Err(Error::invalid_argument(format!("codes are of 2, 3 or 4 axes, not of {other}"))),
        }
    };
    (@ $number:literal, $N:ident => $body:expr) => {{
        const $N: usize = $number;
        $body
    }};
}

impl Curve {
    /// The code of a point, one cell number per axis. Fails as [`morton_encode`], and for another number of axes.
    pub fn encode(self, point: &[u32], bits: u32) -> Result<u64> {
        with_axes!(point.len(), N => {
            let mut cells = [0; N];
            cells.copy_from_slice(point);
            match self {
                Curve::Morton => morton_encode(cells, bits),
                Curve::Hilbert => hilbert_encode(cells, bits),
            }
        })
    }

    /// Inverse of [`Curve::encode`]: fills `point`, whose length is the number of axes; on an error it is as it was.
    pub fn decode(self, code: u64, bits: u32, point: &mut [u32]) -> Result<()> {
        with_axes!(point.len(), N => {
            let cells: [u32; N] = match self {
                Curve::Morton => morton_decode(code, bits)?,
                Curve::Hilbert => hilbert_decode(code, bits)?,
            };
            point.copy_from_slice(&cells);
            Ok(())
        })
    }
}

/// A grid over a range of coordinates: the same range and number of cells along every axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    min: f64,
    max: f64,
    bits: u32,
}

impl Grid {
    /// `2^bits` cells from `min` (included) to `max`. Fails with `InvalidArgument` unless both are finite, `min < max`,
    /// their difference is finite, and `bits` is 1..=32.
    pub fn new(min: f64, max: f64, bits: u32) -> Result<Self> {
        if !((max - min).is_finite() && min < max && (1..=32).contains(&bits)) {
            let what = format!("{bits} bits from {min} to {max} are no grid");
            return Err(Error::invalid_argument(what).hint("min < max, both finite; 1 to 32 bits"));
        }
        Ok(Grid { min, max, bits })
    }

    /// Bits of a cell number.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The cell of a coordinate: `floor((value - min) / (max - min) * 2^bits)`, each operation rounded in f64. What lies
    /// outside the range, infinities too, falls into the first or the last cell; so does `max`. Fails with
    /// `InvalidArgument` for NaN.
    pub fn cell(&self, value: f64) -> Result<u32> {
        if value.is_nan() {
            return Err(Error::invalid_argument("NaN has no cell"));
        }
        let cells = (1_u64 << self.bits) as f64;
        // Clamped before the subtraction, which then cannot overflow; the conversion rounds down, for it is positive.
        let value = value.clamp(self.min, self.max);
        let cell = (value - self.min) / (self.max - self.min) * cells;
        Ok((cell as u64).min((1 << self.bits) - 1) as u32)
    }

    /// [`Grid::cell`] of each of some coordinates, in their order. Fails with `InvalidShape` where there are not as many
    /// cells as coordinates, with `InvalidArgument` for NaN; then nothing is written.
    pub fn cells(&self, values: &[f64], cells: &mut [u32]) -> Result<()> {
        check_places(values.len(), cells.len())?;
        if values.iter().any(|value| value.is_nan()) {
            return self.cell(f64::NAN).map(drop);
        }
        values.iter().zip(cells).try_for_each(|(&value, cell)| self.cell(value).map(|found| *cell = found))
    }

    /// [`Grid::center`] of each of some cells, in their order. Fails with `InvalidShape` where there are not as many
    /// coordinates as cells.
    pub fn centers(&self, cells: &[u32], values: &mut [f64]) -> Result<()> {
        check_places(cells.len(), values.len())?;
        cells.iter().zip(values).for_each(|(&cell, value)| *value = self.center(cell));
        Ok(())
    }

    /// The coordinate in the middle of a cell; at most half a cell from every coordinate in it. Cell numbers beyond the
    /// last are taken for the last.
    pub fn center(&self, cell: u32) -> f64 {
        let cell = u64::from(cell).min((1 << self.bits) - 1) as f64;
        self.min + (cell + 0.5) / (1_u64 << self.bits) as f64 * (self.max - self.min)
    }
}

fn check_places(inputs: usize, outputs: usize) -> Result<()> {
    let what = || Error::new(ErrorKind::InvalidShape, format!("{inputs} numbers do not go into {outputs} places"));
    if inputs == outputs { Ok(()) } else { Err(what()) }
}

fn check_bits<const N: usize>(bits: u32) -> Result<()> {
    if N == 0 || !(1..=32).contains(&bits) || N.saturating_mul(bits as usize) > 64 {
        let what = format!("{N} axes of {bits} bits make no code");
        return Err(Error::invalid_argument(what).hint("1 to 32 bits in the plane, 1 to 21 in space"));
    }
    Ok(())
}

fn check_point<const N: usize>(point: &[u32; N], bits: u32) -> Result<()> {
    check_bits::<N>(bits)?;
    match point.iter().position(|&cell| u64::from(cell) >> bits != 0) {
        None => Ok(()),
        Some(axis) => {
            Err(Error::invalid_argument(format!("cell {} of axis {axis} has more than {bits} bits", point[axis])))
        }
    }
}

fn check_code<const N: usize>(code: u64, bits: u32) -> Result<()> {
    check_bits::<N>(bits)?;
    let width = N as u32 * bits;
    if width < 64 && code >> width != 0 {
        return Err(Error::invalid_argument(format!("code {code} has more than {width} bits")));
    }
    Ok(())
}

/// Bit `b` of axis `a` at bit `b * N + a`.
fn interleave<const N: usize>(point: [u32; N], bits: u32) -> u64 {
    let mut code = 0;
    for bit in (0..bits).rev() {
        for axis in point.iter().rev() {
            code = code << 1 | u64::from(axis >> bit & 1);
        }
    }
    code
}

/// Inverse of [`interleave`].
fn split<const N: usize>(mut code: u64, bits: u32) -> [u32; N] {
    let mut point = [0; N];
    for bit in 0..bits {
        for axis in &mut point {
            *axis |= ((code & 1) as u32) << bit;
            code >>= 1;
        }
    }
    point
}

/// One level of Skilling's transformation: below `bit`, an axis whose bit is set mirrors the first axis, another one
/// changes places with it.
fn turn<const N: usize>(x: &mut [u32; N], bit: u32, axes: impl Iterator<Item = usize>) {
    let below = (1_u32 << bit) - 1;
    for axis in axes {
        if x[axis] >> bit & 1 == 1 {
            x[0] ^= below;
        } else {
            let swap = (x[0] ^ x[axis]) & below;
            x[0] ^= swap;
            x[axis] ^= swap;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // A step that jumps, or a cell visited twice, would scatter neighbours over the index.
    #[test]
    fn the_hilbert_curve_visits_each_cell_once_in_single_steps() {
        fn check<const N: usize>(bits: u32) {
            let mut last: Option<[u32; N]> = None;
            for code in 0..1_u64 << (N as u32 * bits) {
                let point: [u32; N] = hilbert_decode(code, bits).unwrap();
                assert_eq!(hilbert_encode(point, bits).unwrap(), code, "{point:?}, {bits} bits");
                match last {
                    None => assert_eq!(point, [0; N], "{bits} bits"),
                    Some(last) => {
                        let steps: u32 = point.iter().zip(&last).map(|(a, b)| a.abs_diff(*b)).sum();
                        assert_eq!(steps, 1, "from {last:?} to {point:?}, {bits} bits");
                    }
                }
                last = Some(point);
            }
        }
        (1..=6).for_each(check::<2>);
        (1..=4).for_each(check::<3>);
        check::<4>(2);
    }

    // Codes are stored: another order of axes or bits would be another index.
    #[test]
    fn codes_of_known_points() {
        assert_eq!(morton_encode([0b11, 0b01], 2).unwrap(), 0b0111);
        assert_eq!(morton_encode([1, 0, 0], 21).unwrap(), 1);
        assert_eq!(morton_encode([0, 1 << 20, 0], 21).unwrap(), 1 << 61);
        assert_eq!(morton_encode([u32::MAX; 2], 32).unwrap(), u64::MAX);
        let square: Vec<[u32; 2]> = (0..4).map(|code| hilbert_decode(code, 1).unwrap()).collect();
        assert_eq!(square, [[0, 0], [0, 1], [1, 1], [1, 0]]);
        let square: Vec<[u32; 2]> = (0..8).map(|code| hilbert_decode(code, 2).unwrap()).collect();
        assert_eq!(square, [[0, 0], [1, 0], [1, 1], [0, 1], [0, 2], [0, 3], [1, 3], [1, 2]]);
        let cube: Vec<[u32; 3]> = (0..8).map(|code| hilbert_decode(code, 1).unwrap()).collect();
        assert_eq!(cube, [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1], [1, 0, 0]]);
        assert_eq!(hilbert_encode([u32::MAX, 0], 32).unwrap(), u64::MAX, "the curve ends where the first axis does");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(morton_encode([1 << 21, 0, 0], 21).is_err());
        assert!(hilbert_encode([0, 4], 2).is_err());
        assert!(hilbert_decode::<2>(16, 2).is_err());
        for bits in [0, 22, 33, u32::MAX] {
            assert!(hilbert_encode([0; 3], bits).is_err() && morton_decode::<3>(0, bits).is_err());
        }
        assert!(morton_encode([], 1).is_err() && hilbert_decode::<65>(0, 1).is_err());
        for (min, max, bits) in [
            (0.0, 0.0, 8),
            (1.0, 0.0, 8),
            (f64::NAN, 1.0, 8),
            (0.0, f64::INFINITY, 8),
            (-1.0, 1.0, 33),
            (f64::MIN, f64::MAX, 8),
        ] {
            assert!(Grid::new(min, max, bits).is_err(), "{min} {max} {bits}");
        }
        assert!(Grid::new(-1.0, 1.0, 8).unwrap().cell(f64::NAN).is_err());
    }

    // Bindings pass slices: an axis dropped or swapped on the way would give plausible codes.
    #[test]
    fn a_curve_chosen_at_run_time_is_the_same_curve() {
        for (curve, code) in
            [(Curve::Morton, morton_encode([3, 1, 2], 4)), (Curve::Hilbert, hilbert_encode([3, 1, 2], 4))]
        {
            let (code, mut point) = (code.unwrap(), [9; 3]);
            assert_eq!(curve.encode(&[3, 1, 2], 4).unwrap(), code);
            assert!(curve.decode(u64::MAX, 4, &mut point).is_err() && point == [9; 3]);
            curve.decode(code, 4, &mut point).unwrap();
            assert_eq!(point, [3, 1, 2]);
            assert!(curve.encode(&[1], 4).is_err() && curve.decode(0, 4, &mut [0; 5]).is_err());
        }
        let (grid, mut cells, mut values) = (Grid::new(-1.0, 1.0, 2).unwrap(), [9; 2], [9.0; 2]);
        assert!(grid.cells(&[0.0, f64::NAN], &mut cells).is_err() && grid.cells(&[0.0], &mut cells).is_err());
        assert_eq!(cells, [9; 2]);
        grid.cells(&[0.0, 7.0], &mut cells).unwrap();
        grid.centers(&cells, &mut values).unwrap();
        assert_eq!((cells, values), ([2, 3], [0.25, 0.75]));
    }

    #[test]
    fn coordinates_outside_fall_into_the_cells_at_the_edge() {
        let grid = Grid::new(-1.0, 1.0, 2).unwrap();
        let cases = [
            (-1.0, 0),
            (-0.5, 1),
            (-0.500001, 0),
            (0.0, 2),
            (0.999, 3),
            (1.0, 3),
            (7.0, 3),
            (-7.0, 0),
            (f64::INFINITY, 3),
            (f64::NEG_INFINITY, 0),
            (f64::MAX, 3),
        ];
        for (value, cell) in cases {
            assert_eq!(grid.cell(value).unwrap(), cell, "{value}");
        }
        assert_eq!((grid.center(0), grid.center(3), grid.center(9)), (-0.75, 0.75, 0.75));
        assert_eq!(Grid::new(0.0, 1.0, 32).unwrap().cell(1.0).unwrap(), u32::MAX);
    }

    proptest! {
        #[test]
        fn points_of_full_size_come_back(x in any::<[u32; 3]>(), bits in 1_u32..=32) {
            let plane = [x[0], x[1]].map(|cell| (u64::from(cell) & ((1 << bits) - 1)) as u32);
            prop_assert_eq!(morton_decode(morton_encode(plane, bits).unwrap(), bits).unwrap(), plane);
            prop_assert_eq!(hilbert_decode(hilbert_encode(plane, bits).unwrap(), bits).unwrap(), plane);
            let bits = bits.min(21);
            let space = x.map(|cell| cell & ((1 << bits) - 1));
            prop_assert_eq!(morton_decode(morton_encode(space, bits).unwrap(), bits).unwrap(), space);
            let code = hilbert_encode(space, bits).unwrap();
            prop_assert_eq!(hilbert_decode(code, bits).unwrap(), space);
            // The next cell of the curve is a neighbour, far from the small curves that are tested whole.
            if code + 1 < 1 << (3 * bits) {
                let next: [u32; 3] = hilbert_decode(code + 1, bits).unwrap();
                prop_assert_eq!(next.iter().zip(&space).map(|(a, b)| a.abs_diff(*b)).sum::<u32>(), 1);
            }
        }

        #[test]
        fn a_cell_is_at_most_half_a_cell_from_its_coordinates(value in -1.0_f64..1.0, bits in 1_u32..=32) {
            let grid = Grid::new(-1.0, 1.0, bits).unwrap();
            let center = grid.center(grid.cell(value).unwrap());
            prop_assert!((center - value).abs() <= 1.0 / (1_u64 << bits) as f64 + 1e-15);
        }
    }
}
