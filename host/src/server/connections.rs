//! All connections: how many there may be, and which are closed to make room.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::future::{AbortHandle, AbortRegistration};

use super::pace::{Overdue, SharedPace, TimeLimits};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all. A further one replaces one without an authorised request; if there is none, it is refused.
    pub total: usize,
    /// From one address; with IPv6, from one /64 network. A further one replaces one from there whose request is not
    /// authorised; if there is none, it is refused.
    pub per_address: usize,
}

/// The limits allow no further connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// The number of connections that are closed at once to make room, because choosing them means looking at all.
const ROOM_FOR: usize = 64;

pub(super) struct Connections {
    limits: ConnectionLimits,
    times: TimeLimits,
    // Nothing awaits while it is locked.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last_number: u64,
    connections: HashMap<u64, Connection>,
    from: HashMap<IpAddr, usize>,
    /// Counted since the last sweep.
    turned_away: TurnedAway,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct TurnedAway {
    refused: usize,
    replaced: usize,
}

struct Connection {
    from: IpAddr,
    pace: SharedPace,
    abort: AbortHandle,
}

/// The permit of a connection, released on drop.
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
    number: u64,
    pub pace: SharedPace,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.lock().remove(self.number);
    }
}

impl Connections {
    pub fn new(limits: ConnectionLimits, times: TimeLimits) -> Self {
        Self { limits, times, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // No method leaves it half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits one more connection. Returns its permit, and the registration by which it can be aborted.
    pub fn admit(
        self: &Arc<Self>,
        remote: SocketAddr,
        secure: bool,
        now: Instant,
    ) -> Result<(ConnectionPermit, AbortRegistration), Refused> {
        let from = source(remote.ip());
        let mut open = self.lock();
        let room_for = |limit: usize| ROOM_FOR.min(limit.div_ceil(4));
        if open.count_from(from) >= self.limits.per_address {
            open.replace(room_for(self.limits.per_address), |one| {
                if one.from == from { one.pace.lock().unadmitted_since() } else { None }
            });
        }
        if open.connections.len() >= self.limits.total {
            open.replace(room_for(self.limits.total), Connection::unused_since);
        }
        if open.count_from(from) >= self.limits.per_address || open.connections.len() >= self.limits.total {
            open.turned_away.refused += 1;
            return Err(Refused);
        }
        let (abort, registration) = AbortHandle::new_pair();
        let pace = SharedPace::new(self.times, secure, now);
        let number = open.insert(Connection { from, pace: pace.clone(), abort });
        Ok((ConnectionPermit { connections: self.clone(), number, pace }, registration))
    }

    /// Closes some connections without an authorised request.
    pub fn make_room(&self) {
        self.lock().replace(ROOM_FOR, Connection::unused_since);
    }

    /// Closes connections that have kept the host waiting for too long, and logs the refusals and replacements since last time.
    pub fn sweep(&self, now: Instant) {
        let mut open = self.lock();
        for (from, what) in open.cut_overdue(now) {
            tracing::debug!(%from, ?what, "a client has kept the host waiting for too long");
        }
        let TurnedAway { refused, replaced } = std::mem::take(&mut open.turned_away);
        let connections = open.connections.len();
        drop(open);
        if refused + replaced > 0 {
            tracing::warn!(
                connections,
                refused,
                replaced,
                "there are too many connections (http.connections, http.connections_per_address)"
            );
        }
    }
}

impl Connection {
    fn unused_since(&self) -> Option<Instant> {
        self.pace.lock().unused_since()
    }
}

impl Open {
    fn insert(&mut self, connection: Connection) -> u64 {
        self.last_number += 1;
        *self.from.entry(connection.from).or_default() += 1;
        self.connections.insert(self.last_number, connection);
        self.last_number
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        let connection = self.connections.remove(&number)?;
        if let Some(count) = self.from.get_mut(&connection.from) {
            *count -= 1;
            if *count == 0 {
                self.from.remove(&connection.from);
            }
        }
        Some(connection)
    }

    fn count_from(&self, from: IpAddr) -> usize {
        self.from.get(&from).copied().unwrap_or(0)
    }

    /// Closes up to `count` of the connections that `unused_since` selects, the longest unused first.
    fn replace(&mut self, count: usize, unused_since: impl Fn(&Connection) -> Option<Instant>) {
        let unused = self.connections.iter().filter_map(|(number, one)| Some((unused_since(one)?, *number)));
        let mut unused: Vec<_> = unused.collect();
        unused.sort_unstable();
        for (_, number) in unused.into_iter().take(count) {
            self.cut(number);
            self.turned_away.replaced += 1;
        }
    }

    fn cut_overdue(&mut self, now: Instant) -> Vec<(IpAddr, Overdue)> {
        let overdue = self.connections.iter().filter_map(|(number, one)| Some((*number, one.pace.lock().overdue(now)?)));
        let overdue: Vec<_> = overdue.collect();
        overdue.into_iter().filter_map(|(number, what)| Some((self.cut(number)?, what))).collect()
    }

    /// Aborts a connection. It no longer counts, even if its task takes a moment to end.
    fn cut(&mut self, number: u64) -> Option<IpAddr> {
        let connection = self.remove(number)?;
        connection.abort.abort();
        Some(connection.from)
    }
}

/// What counts as one address. A client with one IPv6 address usually has 2^64 of them.
pub(super) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TIMES: TimeLimits = TimeLimits { handshake: SECOND, head: SECOND, idle: SECOND, stall: SECOND, bytes_per_second: 1 };

    fn connections(total: usize, per_address: usize) -> Arc<Connections> {
        Arc::new(Connections::new(ConnectionLimits { total, per_address }, TIMES))
    }

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 1))
    }

    /// Begins an authorised request.
    fn ask(place: &ConnectionPermit) {
        let mut pace = place.pace.lock();
        pace.asked(true);
        pace.admitted();
    }

    /// 300 connections without a key that announced bodies and sent none kept all other clients out for half a minute.
    #[test]
    fn who_asks_and_may_not_makes_room_also_for_its_own_address() {
        let connections = connections(10, 3);
        let begin = Instant::now();
        let (asking, asks) = connections.admit(from(1), false, begin).unwrap();
        ask(&asking);
        let (_silent, silent) = connections.admit(from(1), false, begin).unwrap();
        let (stranger, strange) = connections.admit(from(1), false, begin + SECOND).unwrap();
        stranger.pace.lock().asked(true);
        let (next, _) = connections.admit(from(1), false, begin + 2 * SECOND).unwrap();
        assert!(strange.handle().is_aborted() && !asks.handle().is_aborted() && !silent.handle().is_aborted());
        ask(&next);
        assert!(connections.admit(from(1), false, begin + 3 * SECOND).is_err(), "nobody else has to go");
    }

    #[test]
    fn an_address_has_a_share() {
        let connections = connections(10, 2);
        let now = Instant::now();
        let first = connections.admit(from(1), false, now).unwrap();
        let _second = connections.admit(from(1), false, now).unwrap();
        assert!(connections.admit(from(1), false, now).is_err());
        let _other = connections.admit(from(2), false, now).unwrap();
        drop(first);
        let _third = connections.admit(from(1), false, now).unwrap();
        assert_eq!(connections.lock().turned_away, TurnedAway { refused: 1, replaced: 0 });
    }

    #[test]
    fn what_asks_for_nothing_makes_room_the_longest_unused_first() {
        let connections = connections(3, 3);
        let begin = Instant::now();
        let (asking, _) = connections.admit(from(1), false, begin).unwrap();
        ask(&asking);
        let (_old, old) = connections.admit(from(2), false, begin).unwrap();
        let (_young, young) = connections.admit(from(3), false, begin + SECOND).unwrap();
        let (next, _) = connections.admit(from(4), false, begin + 2 * SECOND).unwrap();
        assert!(old.handle().is_aborted() && !young.handle().is_aborted());
        ask(&next);
        let (last, _) = connections.admit(from(5), false, begin + 3 * SECOND).unwrap();
        ask(&last);
        assert!(young.handle().is_aborted());
        assert!(connections.admit(from(6), false, begin + 4 * SECOND).is_err(), "all are being served");
    }

    #[test]
    fn who_is_overdue_is_cut_off_and_its_place_is_free() {
        let connections = connections(1, 1);
        let begin = Instant::now();
        let (_place, slow) = connections.admit(from(1), false, begin).unwrap();
        connections.sweep(begin + SECOND);
        assert!(!slow.handle().is_aborted());
        connections.sweep(begin + 2 * SECOND);
        assert!(slow.handle().is_aborted());
        assert!(connections.lock().connections.is_empty() && connections.lock().from.is_empty());
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
