package orders;

import java.nio.file.*;
import java.util.*;

/** Adds up orders by customer. Orders below 0 are refused. */
public class Totals {
    public static void main(String[] args) throws Exception {
        List<String> lines = Files.readAllLines(Path.of("data", "orders.csv"));
        Map<String, Integer> totals = new TreeMap<>();
        int refused = 0;
        for (String line : lines.subList(1, lines.size())) {
            String[] order = line.split(",");
            int amount = Integer.parseInt(order[2]);
            if (amount < 0) {
                refused++;
            } else {
                totals.merge(order[1], amount, Integer::sum);
            }
        }
        StringBuilder text = new StringBuilder();
        totals.forEach((name, total) -> text.append(name).append(',').append(total).append('\n'));
        Files.writeString(Path.of(System.getenv("LOCAL_JOB_OUT_DIR"), "totals.csv"), text);
        System.out.printf("%s: totals of %d customers, %d order refused%n", System.getenv("GREETING"), totals.size(), refused);
    }
}
