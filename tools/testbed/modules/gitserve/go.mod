module slipway.dev/testbed/gitserve

go 1.26
