"""What proxies, tunnels, load balancers and CDNs write into the requests that they pass on."""

from __future__ import annotations

from typing import Final

__all__ = ["SIGNS"]

SIGNS: Final = (
    "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-By", "X-Forwarded-Ssl",
    "X-Forwarded-Prefix", "X-Forwarded", "Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP",
    "True-Client-IP", "X-Cluster-Client-IP", "X-ProxyUser-IP", "X-Original-Host",
    "X-Original-Forwarded-For", "X-Original-URL", "X-Rewrite-URL", "X-Host", "X-Originating-IP",
    "X-Remote-IP", "X-Remote-Addr", "Remote-Addr", "WL-Proxy-Client-IP", "Proxy-Client-IP",
    "Proxy-Connection", "Proxy-Authorization", "Max-Forwards", "X-Proxy-ID", "X-HTTPS",
    "Front-End-Https", "SSL-Client-Cert", "CF-Connecting-IP", "CF-Ray", "CF-Visitor", "CDN-Loop",
    "Fastly-Client-IP", "Fastly-FF", "X-Varnish", "X-Timer", "Akamai-Origin-Hop",
    "X-Akamai-Edgescape", "X-Amz-Cf-Id", "X-Amzn-Trace-Id", "CloudFront-Viewer-Address",
    "X-Azure-ClientIP", "X-Azure-FDID", "X-ARR-LOG-ID", "X-MS-Proxy", "X-Cloud-Trace-Context",
    "X-AppEngine-User-IP", "X-Envoy-External-Address", "X-Envoy-Peer-Metadata", "X-Request-Id",
    "X-B3-TraceId", "Traceparent", "Fly-Client-IP", "Fly-Region", "X-Vercel-Forwarded-For",
    "X-NF-Client-Connection-IP", "DO-Connecting-IP", "Tailscale-User-Login", "X-Ngrok-Something",
    "Incap-Client-IP", "X-Sucuri-ClientIP", "X-Kong-Request-Id", "X-Traefik-Something",
    "X-Whatever-Comes-Next",
)  # fmt: skip
"""Their names. The last stands for those that nobody has thought of yet."""
