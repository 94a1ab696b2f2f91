"""What browsers are given: the client `dpd.js`, the dashboard, the self-test page, the welcome."""
