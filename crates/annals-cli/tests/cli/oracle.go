// Verifies, with Go's own packages, what the commands about proofs write.
//
// Arguments: the log's vkey, and files: an older checkpoint, a newer one, a tlog-proof under the newer one, and a witness
// request from the older to the newer one; and the log's key file, with which Go has to sign the same bytes.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func read(path string) string {
	text, err := os.ReadFile(path)
	must(err)
	return string(text)
}

func hash(text string) (h tlog.Hash) {
	b, err := base64.StdEncoding.DecodeString(text)
	must(err)
	copy(h[:], b)
	return h
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	must(err)
	return n
}

// tree verifies a checkpoint and returns its size and root.
func tree(text string, verifiers note.Verifiers) (int64, tlog.Hash) {
	n, err := note.Open([]byte(text), verifiers)
	must(err)
	lines := strings.Split(n.Text, "\n")
	return number(lines[1]), hash(lines[2])
}

func hashes(lines []string) (all []tlog.Hash) {
	for _, line := range lines {
		all = append(all, hash(line))
	}
	return all
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	must(err)
	verifiers := note.VerifierList(verifier)
	oldSize, oldRoot := tree(read(os.Args[2]), verifiers)
	size, root := tree(read(os.Args[3]), verifiers)

	head, checkpoint, _ := strings.Cut(read(os.Args[4]), "\n\n")
	if n, r := tree(checkpoint, verifiers); n != size || r != root {
		must(fmt.Errorf("the proof has another checkpoint"))
	}
	lines := strings.Split(head, "\n")
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(err)
	index := number(strings.TrimPrefix(lines[2], "index "))
	must(tlog.CheckRecord(tlog.RecordProof(hashes(lines[3:])), size, root, index, tlog.RecordHash(entry)))

	head, _, _ = strings.Cut(read(os.Args[5]), "\n\n")
	lines = strings.Split(head, "\n")
	if number(strings.TrimPrefix(lines[0], "old ")) != oldSize {
		must(fmt.Errorf("the request is from another size"))
	}
	must(tlog.CheckTree(tlog.TreeProof(hashes(lines[1:])), size, root, oldSize, oldRoot))

	signer, err := note.NewSigner(strings.TrimSuffix(read(os.Args[6]), "\n"))
	must(err)
	text, _, _ := strings.Cut(read(os.Args[3]), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
	must(err)
	if string(signed) != read(os.Args[3]) {
		must(fmt.Errorf("Go signs other bytes: %s", signed))
	}
	fmt.Println("all hold")
}
