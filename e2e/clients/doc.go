// Package clients runs stock drivers against a gateway whose role allows everything and masks nothing, and tells what works:
// each driver times each feature is a cell (`make clients`). A driver is a function of this package, or a program beside it
// that prints a line of JSON for each feature. A cell fails unless the driver said that the feature works, or the table of
// this package says that the driver has no such feature. TestDrivers runs those whose packages every build has.
package clients
