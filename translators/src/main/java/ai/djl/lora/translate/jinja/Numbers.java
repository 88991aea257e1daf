/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;

/** Python's numbers: whole ones are {@code Long} or {@code BigInteger}, others {@code Double}. */
final class Numbers {

    /** How many digits a whole number may have; nothing in a conversation needs more. */
    private static final int MAX_BITS = 4096;

    private Numbers() {}

    /** Returns a whole number in the form that equal ones share. */
    static Number integer(BigInteger value) {
        if (value.bitLength() > MAX_BITS) {
            throw new TemplateException("a whole number has more than " + MAX_BITS + " bits");
        }
        return value.bitLength() < Long.SIZE ? (Number) value.longValue() : value;
    }

    /** Tells whether a value counts as a number; true and false do, as 1 and 0. */
    static boolean isNumber(Object value) {
        return value instanceof Boolean || value instanceof Number;
    }

    static boolean isInteger(Object value) {
        return isNumber(value) && !(value instanceof Double);
    }

    static double toDouble(Object value) {
        if (value instanceof Boolean truth) {
            return truth ? 1 : 0;
        }
        return ((Number) value).doubleValue();
    }

    static BigInteger toInteger(Object value) {
        if (value instanceof Boolean truth) {
            return truth ? BigInteger.ONE : BigInteger.ZERO;
        }
        return value instanceof BigInteger large
                ? large
                : BigInteger.valueOf(((Number) value).longValue());
    }

    static int compare(Object left, Object right) {
        return isInteger(left) && isInteger(right)
                ? toInteger(left).compareTo(toInteger(right))
                : Double.compare(toDouble(left) + 0.0, toDouble(right) + 0.0);
    }

    static Number calculate(String operator, Object left, Object right) {
        boolean whole = isInteger(left) && isInteger(right);
        return whole && !"/".equals(operator)
                ? calculate(operator, toInteger(left), toInteger(right))
                : calculate(operator, toDouble(left), toDouble(right));
    }

    private static Number calculate(String operator, BigInteger left, BigInteger right) {
        switch (operator) {
            case "+":
                return integer(left.add(right));
            case "-":
                return integer(left.subtract(right));
            case "*":
                return integer(left.multiply(right));
            case "//":
            case "%":
                requireDivisor(right.signum() != 0);
                BigInteger[] both = left.divideAndRemainder(right);
                // Python rounds down, Java towards zero
                boolean down = both[1].signum() != 0 && both[1].signum() != right.signum();
                return "%".equals(operator)
                        ? integer(down ? both[1].add(right) : both[1])
                        : integer(down ? both[0].subtract(BigInteger.ONE) : both[0]);
            default:
                if (right.signum() < 0) {
                    return Math.pow(left.doubleValue(), right.doubleValue());
                }
                // 0, 1 and -1 may have any exponent, of which it only matters what is odd
                boolean small = left.bitLength() <= 1 && left.abs().bitLength() <= 1;
                if (small && right.bitLength() > 1) {
                    return integer(left.pow(right.testBit(0) ? 1 : 2));
                }
                if (right.bitLength() > 12) {
                    throw new TemplateException("a power is too large");
                }
                return integer(left.pow(right.intValue()));
        }
    }

    private static Number calculate(String operator, double left, double right) {
        switch (operator) {
            case "+":
                return left + right;
            case "-":
                return left - right;
            case "*":
                return left * right;
            case "/":
                requireDivisor(right != 0);
                return left / right;
            case "//":
                requireDivisor(right != 0);
                // the quotient of what the remainder leaves: 1 // 0.1 is 9
                double quotient = (left - remainder(left, right)) / right;
                double whole = Math.floor(quotient);
                return quotient - whole > 0.5 ? whole + 1 : whole;
            case "%":
                requireDivisor(right != 0);
                return remainder(left, right);
            default:
                return Math.pow(left, right);
        }
    }

    /** Returns the remainder, which has the divisor's sign. */
    private static double remainder(double left, double right) {
        double rest = left % right;
        return rest != 0 && rest < 0 != right < 0 ? rest + right : rest;
    }

    private static void requireDivisor(boolean there) {
        if (!there) {
            throw new TemplateException("division by zero");
        }
    }

    static double round(double value, int digits) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return value;
        }
        return new BigDecimal(value).setScale(digits, RoundingMode.HALF_EVEN).doubleValue();
    }

    /** Returns the shortest text that reads as the number, as Python writes it. */
    static String text(Number number) {
        if (!(number instanceof Double)) {
            return number.toString();
        }
        double value = number.doubleValue();
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal shortest = shortest(value);
        // the exponent of the first digit
        int exponent = shortest.precision() - shortest.scale() - 1;
        if (exponent >= -4 && exponent < 16) {
            String plain = shortest.stripTrailingZeros().toPlainString();
            return plain.indexOf('.') < 0 ? plain + ".0" : plain;
        }
        String digits = shortest.stripTrailingZeros().unscaledValue().abs().toString();
        String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
        return (value < 0 ? "-" : "")
                + digits.charAt(0)
                + fraction
                + String.format(
                        Locale.ROOT, "e%s%02d", exponent < 0 ? "-" : "+", Math.abs(exponent));
    }

    private static BigDecimal shortest(double value) {
        BigDecimal exact = new BigDecimal(value);
        for (int digits = 1; digits < 17; ++digits) {
            BigDecimal rounded = exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
            if (rounded.doubleValue() == value) {
                return rounded;
            }
        }
        return exact.round(new MathContext(17, RoundingMode.HALF_EVEN));
    }
}
