package erasure

// A slow Reed-Solomon written from the package comment alone: if it agrees
// with the vectors, the comment is enough to read a pack in a hundred years.
func mul(a, b byte) (p byte) {
	for ; b > 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		carry := a&0x80 != 0
		a <<= 1
		if carry {
			a ^= 0x1d // x^8 = x^4+x^3+x^2+1
		}
	}
	return p
}

func power(a byte, n int) byte {
	p := byte(1)
	for range n {
		p = mul(p, a)
	}
	return p
}

func inverse(a byte) byte { return power(a, 254) }

type matrix [][]byte

func product(a, b matrix) matrix {
	p := make(matrix, len(a))
	for r := range a {
		p[r] = make([]byte, len(b[0]))
		for c := range p[r] {
			for i := range b {
				p[r][c] ^= mul(a[r][i], b[i][c])
			}
		}
	}
	return p
}

// invert is Gauss-Jordan on a square matrix that has an inverse.
func invert(square matrix) matrix {
	n := len(square)
	work := make(matrix, n)
	for r := range work {
		work[r] = append(append([]byte(nil), square[r]...), make([]byte, n)...)
		work[r][n+r] = 1
	}
	for c := range n {
		pivot := c
		for work[pivot][c] == 0 {
			pivot++
		}
		work[c], work[pivot] = work[pivot], work[c]
		scale := inverse(work[c][c])
		for i := range work[c] {
			work[c][i] = mul(work[c][i], scale)
		}
		for r := range work {
			if factor := work[r][c]; r != c && factor != 0 {
				for i := range work[r] {
					work[r][i] ^= mul(factor, work[c][i])
				}
			}
		}
	}
	for r := range work {
		work[r] = work[r][n:]
	}
	return work
}

// codeMatrix is the n x k matrix of the package comment.
func codeMatrix(k, n int) matrix {
	vandermonde := make(matrix, n)
	for r := range vandermonde {
		vandermonde[r] = make([]byte, k)
		for c := range k {
			vandermonde[r][c] = power(byte(r), c)
		}
	}
	return product(vandermonde, invert(vandermonde[:k]))
}

// slowEncode gives all n shards of k data shards.
func slowEncode(k, n int, data [][]byte) [][]byte { return product(codeMatrix(k, n), data) }
