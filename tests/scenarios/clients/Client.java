import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;

/** One request with the JDK's client as it is: over http:// it offers HTTP/2 by an upgrade (h2c). */
class Client {
    /** METHOD URL TOKEN WORKSPACE CONTENT-TYPE FILE: prints the status, then the body of the answer. */
    public static void main(String[] given) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(given[1]))
            .header("Authorization", "Bearer " + given[2])
            .header("X-MLFLOW-WORKSPACE", given[3])
            .header("Content-Type", given[4])
            .method(given[0], BodyPublishers.ofFile(Path.of(given[5])))
            .build();
        var response = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        System.out.println(response.statusCode());
        System.out.print(response.body());
    }
}
