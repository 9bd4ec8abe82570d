package wire

import (
	"strconv"
	"strings"
)

// receiptPrefix is text that no connId begins with.
const receiptPrefix = "handled:"

// Receipt returns the connId of an Unregister by which a business process says
// that it has handled so many events since it registered. Any gateway answers
// an Unregister with an unknown connId and changes nothing, so a process may
// send one to gateways that do not know of receipts.
func Receipt(handled uint64) string { return receiptPrefix + strconv.FormatUint(handled, 10) }

// ParseReceipt is the reverse of Receipt.
func ParseReceipt(connID string) (handled uint64, ok bool) {
	n, ok := strings.CutPrefix(connID, receiptPrefix)
	if !ok {
		return 0, false
	}
	handled, err := strconv.ParseUint(n, 10, 64)
	return handled, err == nil
}
