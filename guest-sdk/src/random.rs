//! Random numbers, made from the random bytes of the host.

use std::ops::{Range, RangeInclusive};

/// Fills a buffer with random bytes.
type Source<'a> = &'a mut dyn FnMut(&mut [u8]);

/// A type that [`Context::random`](crate::Context::random) can return: the integers, `f32`, `f64` and `bool`.
///
/// ```no_run
/// # fn example(ctx: dacapo_sdk::Context) {
/// let heads = ctx.random::<bool>();
/// # }
/// ```
pub trait Random: Sized {
    #[doc(hidden)]
    fn random(source: Source<'_>) -> Self;
}

/// A range that [`Context::random_range`](crate::Context::random_range) can draw from: `a..b` and `a..=b` of integers,
/// `a..b` of floats.
///
/// ```no_run
/// # fn example(ctx: dacapo_sdk::Context) {
/// let dice = ctx.random_range(1..=6);
/// let share = ctx.random_range(0.25..0.75);
/// # }
/// ```
pub trait RandomRange<T> {
    #[doc(hidden)]
    fn random(self, source: Source<'_>) -> T;
}

macro_rules! integers {
    ($($integer:ident)*) => {
        $(
            impl Random for $integer {
                fn random(source: Source<'_>) -> Self {
                    let mut bytes = [0; size_of::<$integer>()];
                    source(&mut bytes);
                    $integer::from_le_bytes(bytes)
                }
            }

            impl RandomRange<$integer> for Range<$integer> {
                fn random(self, source: Source<'_>) -> $integer {
                    assert!(self.start < self.end, "the range {self:?} is empty");
                    (self.start..=self.end - 1).random(source)
                }
            }

            impl RandomRange<$integer> for RangeInclusive<$integer> {
                fn random(self, source: Source<'_>) -> $integer {
                    assert!(!self.is_empty(), "the range {self:?} is empty");
                    // Wrapping arithmetic in 64 bits is right for the signed types as well.
                    let width = (*self.end() as u64).wrapping_sub(*self.start() as u64);
                    (*self.start() as u64).wrapping_add(up_to(width, source)) as $integer
                }
            }
        )*
    };
}

integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl Random for bool {
    fn random(source: Source<'_>) -> Self {
        u8::random(source) & 1 == 1
    }
}

impl Random for f32 {
    fn random(source: Source<'_>) -> Self {
        (u32::random(source) >> 8) as f32 / (1_u32 << 24) as f32
    }
}

impl Random for f64 {
    fn random(source: Source<'_>) -> Self {
        (u64::random(source) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl RandomRange<f64> for Range<f64> {
    fn random(self, source: Source<'_>) -> f64 {
        assert!(self.start < self.end, "the range {self:?} is empty");
        let value = self.start + f64::random(source) * (self.end - self.start);
        // Rounding may yield the end itself, which is not in the range.
        if value < self.end { value } else { self.start }
    }
}

/// Returns a number from 0 to `max`, each equally likely: draws that would favour small numbers are rejected.
fn up_to(max: u64, source: Source<'_>) -> u64 {
    let Some(count) = max.checked_add(1) else {
        return u64::random(source);
    };
    let unfair = u64::MAX - (u64::MAX % count + 1) % count;
    loop {
        let draw = u64::random(source);
        if draw <= unfair {
            return draw % count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deterministic source: a linear congruential generator.
    fn counter() -> impl FnMut(&mut [u8]) {
        let mut next: u64 = 0;
        move |buffer| {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            for (index, byte) in buffer.iter_mut().enumerate() {
                *byte = next.rotate_left(32).to_le_bytes()[index % 8];
            }
        }
    }

    #[test]
    fn ranges_are_kept_and_filled() {
        let mut source = counter();
        let mut seen = [0; 6];
        for _ in 0..600 {
            seen[(1..=6_usize).random(&mut source) - 1] += 1;
        }
        assert!(seen.iter().all(|count| (60..=140).contains(count)), "{seen:?}");
        for _ in 0..100 {
            assert!((-3..3_i8).contains(&(-3..3_i8).random(&mut source)));
            assert!((0.25..0.75).contains(&(0.25..0.75).random(&mut source)));
        }
    }

    #[test]
    fn the_widest_ranges_do_not_overflow() {
        let mut source = counter();
        let _: u64 = (0..=u64::MAX).random(&mut source);
        let _: i64 = (i64::MIN..=i64::MAX).random(&mut source);
        assert_eq!((7..8_u8).random(&mut source), 7);
        assert_eq!((255..=255_u8).random(&mut source), 255);
    }

    #[test]
    #[should_panic(expected = "the range 3..3 is empty")]
    fn an_empty_range_panics() {
        (3..3_u32).random(&mut counter());
    }
}
