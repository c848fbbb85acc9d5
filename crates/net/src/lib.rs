//! Listeners, TLS, PROXY protocol, limits, time-outs, the one connection loop, graceful stop.
